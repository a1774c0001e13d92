"""What ends a channel of files."""


class FilesFault(Exception):
    """A peer broke the protocol, so that nothing more of this channel can be told apart.

    The text says for people who did what; the channel has to be closed.
    """
