"""The library for CEL without its command line program.

The package imports that program wherever CEL is used, and with it all that draws on terminals: three hundred
modules that no process of a gateway has a use for, least of all one that parses hostile bytes.
"""

import sys
from types import ModuleType

sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402

__all__ = ["cel"]
