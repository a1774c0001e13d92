"""What is spoken on top of plain HTTP: the APIs of language models, and the Model Context Protocol.

Pure functions of heads and bodies: the machine asks them for facts before policy decides, and the transcript
asks the same ones again when a recording is read.
"""

from bodycam.protocols.http.dialects.dialect import Answer, AnswerReader, Call, Dialect
from bodycam.protocols.http.dialects.glimpse import plain, worth_a_look
from bodycam.protocols.http.dialects.recognition import recognise

__all__ = ["Answer", "AnswerReader", "Call", "Dialect", "plain", "recognise", "worth_a_look"]
