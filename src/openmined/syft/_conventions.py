"""scikit-learn's conventions for objects that never change: specs, and what they become by `fit`.

A spec is what scikit-learn calls an unfitted estimator, and its `fit` returns another object, the
estimator, instead of changing the spec. So the clone of a spec is that spec, and the clone of an
estimator, which leaves out what was learned, is its spec too. Tools that fit in place and then
ask the same object to predict (`cross_val_score`) so fail instead of scoring old weights.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn

from openmined.syft._errors import SpecError

if TYPE_CHECKING:
    from typing import Self


class Settings:
    """What the specs have in common."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - scikit-learn's
        """Return all settings by name; `deep` is there for scikit-learn, nothing is nested."""
        return {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]

    def set_params(self, **params: Any) -> NoReturn:
        """Refuse: a spec never changes.

        Raises:
            SpecError: always; it names the way to a changed copy.
        """
        named = ", ".join(f"{name}=..." for name in params)
        raise SpecError(f"a spec never changes: make another by dataclasses.replace(spec, {named})")

    def __sklearn_clone__(self) -> Self:
        return self

    def __sklearn_tags__(self) -> Any:
        return _tags(self)


class Trained:
    """What the estimators have in common; they carry the spec that they were fitted by."""

    spec: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings of the spec; what was learned is no setting."""
        params: dict[str, Any] = self.spec.get_params(deep)
        return params

    def set_params(self, **params: Any) -> NoReturn:
        """Refuse: an estimator never changes.

        Raises:
            SpecError: always; it names the way to another one.
        """
        named = ", ".join(f"{name}=..." for name in params)
        raise SpecError(
            "an estimator never changes: fit another by "
            f"dataclasses.replace(estimator.spec, {named}).fit(X, y)"
        )

    def __sklearn_clone__(self) -> Any:
        return self.spec

    def __sklearn_tags__(self) -> Any:
        return _tags(self.spec)


def _tags(spec: Any) -> Any:
    from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

    classifies = spec.metric == "accuracy"
    return Tags(
        estimator_type="classifier" if classifies else "regressor",
        target_tags=TargetTags(required=True),
        classifier_tags=ClassifierTags() if classifies else None,
        regressor_tags=None if classifies else RegressorTags(),
    )
