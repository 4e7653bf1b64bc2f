"""The public names are sorted, present, and documented."""

import inspect

import openmined.syft as syft
from openmined.protocol import OpenMinedError


def test_all_is_sorted_and_complete():
    kinds = [(not name.isupper(), name[0].islower(), name) for name in syft.__all__]
    assert kinds == sorted(kinds)
    for name in syft.__all__:
        assert getattr(syft, name) is not None


def test_every_public_name_is_documented():
    for name in syft.__all__:
        item = getattr(syft, name)
        if inspect.isclass(item) or inspect.isfunction(item):
            assert inspect.getdoc(item), name


def test_errors_form_one_tree():
    errors = [
        item
        for name in syft.__all__
        if isinstance(item := getattr(syft, name), type) and issubclass(item, Exception)
    ]
    assert len(errors) >= 10
    assert all(issubclass(error, syft.SyftError) for error in errors)
    assert issubclass(syft.SyftError, OpenMinedError)
