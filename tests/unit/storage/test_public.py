"""The public face: sorted names, one error tree."""

from __future__ import annotations

import inspect

from openmined import storage
from openmined.protocol import OpenMinedError


def test_public_names_are_sorted_and_real() -> None:
    order = {True: 0, False: 1}
    names = storage.__all__
    assert names == sorted(names, key=lambda n: (order[n.isupper()], order[n[0].isupper()], n))
    assert all(hasattr(storage, name) for name in names)


def test_everything_public_is_documented() -> None:
    for name in storage.__all__:
        thing = getattr(storage, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__doc__, name


def test_one_error_tree() -> None:
    errors = [
        thing
        for name in storage.__all__
        if inspect.isclass(thing := getattr(storage, name)) and issubclass(thing, Exception)
    ]
    assert len(errors) == 16
    assert all(issubclass(error, storage.StorageError) for error in errors)
    assert issubclass(storage.StorageError, OpenMinedError)
