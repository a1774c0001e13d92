"""A sign-in in use: gives the token at hand, renewed in time by whichever command needs it first."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.kept import Kept, SignInFile
from bodycam.net.sign_in.provider import post
from bodycam.net.sign_in.tokens import read_tokens

_EARLY_SECONDS = 60.0


class SignedIn:
    """The sign-in that a file keeps, for any thread of a command. `wall` gives Unix seconds."""

    def __init__(self, file: SignInFile, kept: Kept, *, wall: Callable[[], float] = time.time) -> None:
        self._file, self._kept, self._wall = file, kept, wall
        self._one = threading.Lock()

    def token(self) -> str:
        """A token that is good for a while; asks the provider for another one if this one soon ends.

        Raises:
            SignInFailed: it has ended and can't be renewed, or not now.
        """
        with self._one:
            if self._lasts(self._kept):
                return self._kept.id_token
            try:
                with self._file.locked():
                    self._renew()
            except SignInFailed as failure:
                if not failure.for_now or self._wall() >= self._kept.expires:
                    raise
            except OSError as error:
                raise SignInFailed(
                    f"the sign-in can't be kept: {error}", "check the folder of XDG_STATE_HOME"
                ) from error
            return self._kept.id_token

    def _renew(self) -> None:
        found = self._file.read()
        if found is None or (found.issuer, found.subject) != (self._kept.issuer, self._kept.subject):
            raise SignInFailed("you have signed out meanwhile", "sign in again: bodycam login")
        # another command may have renewed it while this one waited
        self._kept = found
        if self._lasts(found):
            return
        if found.refresh_token is None:
            if self._wall() >= found.expires:
                raise _ended(found.provider)
            return
        form = {"grant_type": "refresh_token", "refresh_token": found.refresh_token}
        answer = post(found.at(), found.token_endpoint, form)
        if answer.error == "invalid_grant":
            self._file.forget()
            raise _ended(found.provider)
        if answer.error:
            raise SignInFailed(
                f"{found.provider} does not renew your sign-in now: {answer.error}",
                "try again, or sign in again: bodycam login",
                for_now=True,
            )
        tokens = read_tokens(answer, found.at())
        if tokens.subject != found.subject:
            raise _ended(found.provider)
        self._kept = replace(
            found,
            id_token=tokens.id_token,
            expires=tokens.expires,
            since=self._wall(),
            refresh_token=tokens.refresh_token or found.refresh_token,
        )
        self._file.write(self._kept)

    def _lasts(self, kept: Kept) -> bool:
        early = min(_EARLY_SECONDS, (kept.expires - kept.since) / 2)
        return self._wall() < kept.expires - early


def _ended(provider: str) -> SignInFailed:
    return SignInFailed(f"your sign-in at {provider} has ended", "sign in again: bodycam login")
