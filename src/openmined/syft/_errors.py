"""The error tree of encrypted learning.

OpenMinedError
└── SyftError
├── SpecError            a learning task, feature chain or optimizer that makes no sense
├── ParameterError       CKKS parameters that are unsafe or do not fit the task
├── DataError            rows, labels or weights of the wrong shape, range or kind
├── RangeError           numbers that the chosen CKKS parameters have no room for
├── CiphertextError      bytes that are no key or ciphertext of these parameters
├── KeyMismatch          a key or ciphertext made under other keys
├── ModelFileError       bytes that are no model file of ours
├── MissingExtra         an optional package that is not installed
├── ReleaseRefused       a release beyond its budget
└── LimitError           a limited child process that failed
├── OutOfTime
└── OutOfMemory
"""

from __future__ import annotations

from openmined.protocol import OpenMinedError


class SyftError(OpenMinedError):
    """Encrypted learning failed in a way that we foresaw."""


class SpecError(SyftError, ValueError):
    """A learning task, a feature chain or an optimizer setting makes no sense."""


class ParameterError(SyftError, ValueError):
    """CKKS parameters are below 128 bits of security, or do not fit the task."""


class DataError(SyftError, ValueError):
    """Rows, labels or weights have the wrong shape, range or kind."""


class RangeError(SyftError, ValueError):
    """Numbers are too large for the room that the CKKS parameters leave."""


class CiphertextError(SyftError):
    """Bytes are no key or ciphertext of the parameters at hand."""


class KeyMismatch(SyftError):
    """A key or a ciphertext was made under other keys than the ones at hand."""


class ModelFileError(SyftError):
    """Bytes are no model file of ours."""


class MissingExtra(SyftError):
    """An optional package is needed that is not installed."""


class ReleaseRefused(SyftError):
    """A release was asked for that its budget does not cover."""


class LimitError(SyftError):
    """A limited child process died, or what it returned was unusable."""


class OutOfTime(LimitError):
    """A limited child process used up its time."""


class OutOfMemory(LimitError):
    """A limited child process used up its memory."""
