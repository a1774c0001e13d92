"""From the settings to the masks and the redactor that a worker uses."""

from bodycam.app.fingerprint_key import CACHE, fingerprint_key
from bodycam.config import Settings
from bodycam.policy.detectors import secrets
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.policy.masking.open_masking import OpenMasking
from bodycam.policy.masking.policy import Masking
from bodycam.policy.redaction import Redactor


class WorkerMasking:
    """The masks and the redactor of one worker; `adopt` changes both for sessions that come."""

    def __init__(self, settings: Settings) -> None:
        self._fingerprints = Fingerprints(fingerprint_key(settings.storage.data / CACHE))
        masking = self._made(settings)
        self.open = OpenMasking(masking)
        self.redactor = self._redactor(settings)

    def adopt(self, settings: Settings) -> None:
        """Mask by changed settings; takes a while, and belongs in a thread."""
        masking = self._made(settings)
        self.open.adopt(masking)
        self.redactor = self._redactor(settings)

    def _redactor(self, settings: Settings) -> Redactor:
        """Requests are redacted of secrets and of all that is masked anywhere."""
        detectors = {name for entry in settings.masking for name in entry.detect}
        matcher = self._patterns.matcher({secrets.GROUP, *detectors})
        return Redactor(matcher=matcher, fingerprints=self._fingerprints)

    def _made(self, settings: Settings) -> Masking:
        self._patterns = patterns(settings)
        masking = Masking(settings, self._patterns, self._fingerprints)
        masking.prepare()
        return masking


def patterns(settings: Settings) -> Patterns:
    """All detectors that these settings can use; what is compiled once is kept in the data folder."""
    own = {name: detector.pattern for name, detector in settings.detectors.items()}
    secret = {name for name, detector in settings.detectors.items() if detector.secret}
    return Patterns.open(settings.storage.data / CACHE, own, secret)


def warm(settings: Settings) -> None:
    """Compile what the workers need, so that they find it and none of them waits."""
    (settings.storage.data / CACHE).mkdir(mode=0o700, parents=True, exist_ok=True)
    fingerprint_key(settings.storage.data / CACHE)
    made = Masking(settings, patterns(settings))
    made.prepare()
