"""COPY data as a recording shows it: text in the client's encoding, or hexadecimal for the binary format."""

import codecs

# https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4
_SIGNATURE = b"PGCOPY\n\xff\r\n\0"


class Copied:
    """One direction of one COPY. A character may be cut by the end of a message, so it is read on over it."""

    __slots__ = ("_binary", "_decoder")

    def __init__(self, encoding: str, *, binary: bool | None = None) -> None:
        self._binary = binary
        self._decoder = codecs.getincrementaldecoder(encoding)("backslashreplace")

    def feed(self, data: bytes) -> str:
        """The next data as text."""
        if self._binary is None:
            self._binary = data.startswith(_SIGNATURE)
        return "\\x" + data.hex() if self._binary else self._decoder.decode(data)

    def end(self) -> str:
        """What was held of a character that never ended."""
        return self._decoder.decode(b"", True)


ENCODINGS = {
    "UTF8": "utf-8", "SQL_ASCII": "utf-8", "LATIN1": "iso8859-1", "LATIN2": "iso8859-2",
    "LATIN3": "iso8859-3", "LATIN4": "iso8859-4", "LATIN5": "iso8859-9", "LATIN6": "iso8859-10",
    "LATIN7": "iso8859-13", "LATIN8": "iso8859-14", "LATIN9": "iso8859-15", "LATIN10": "iso8859-16",
    "ISO_8859_5": "iso8859-5", "ISO_8859_6": "iso8859-6", "ISO_8859_7": "iso8859-7",
    "ISO_8859_8": "iso8859-8", "WIN866": "cp866", "WIN874": "cp874", "WIN1250": "cp1250",
    "WIN1251": "cp1251", "WIN1252": "cp1252", "WIN1253": "cp1253", "WIN1254": "cp1254",
    "WIN1255": "cp1255", "WIN1256": "cp1256", "WIN1257": "cp1257", "WIN1258": "cp1258",
    "KOI8R": "koi8-r", "KOI8U": "koi8-u", "EUC_JP": "euc_jp", "EUC_CN": "gb2312", "EUC_KR": "euc_kr",
    "EUC_JIS_2004": "euc_jis_2004", "SHIFT_JIS_2004": "shift_jis_2004", "SJIS": "cp932", "BIG5": "cp950",
    "GBK": "gbk", "GB18030": "gb18030", "JOHAB": "johab", "UHC": "cp949",
}  # fmt: skip
"""PostgreSQL's names of client encodings to Python's."""
