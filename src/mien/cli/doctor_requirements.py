"""Read the requirements of mien and of its extras, and compare them with what is installed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: Distributions that hold the same module, and so meet the requirement.
_ALTERNATIVES = {"tensorflow-cpu": ("tensorflow",), "tensorflow": ("tensorflow-cpu",)}


@dataclass(frozen=True)
class Found:
    """A requirement, and the distribution that is there for it: its name and version, None if it is missing.

    `direct` is False if only an extra of another requirement asks for it, like `psycopg-binary` for `psycopg[binary]`.
    """

    requirement: Requirement
    distribution: str | None
    version: str | None
    direct: bool = True

    @property
    def fits(self) -> bool:
        """Whether the version is within the bounds; False if nothing is installed."""
        return self.version is not None and self.requirement.specifier.contains(self.version, prereleases=True)

    def __str__(self) -> str:
        """Name what is there, and the bounds if it is outside of them."""
        if self.version is None:
            return f"{self.requirement.name} missing"
        outside = "" if self.fits else f" is not {self.requirement.specifier}"
        return f"{self.distribution} {self.version}{outside}"


def requirements(extra: str = "", distribution: str = "mien") -> list[Requirement]:
    """Return what an extra requires on this machine, with the extras it includes; without a name, the core."""
    return list(_of(extra, distribution))


def look_up(needed: Sequence[Requirement]) -> list[Found]:
    """Return what is installed for each requirement, and for the extras that a requirement asks for."""
    found: dict[str, Found] = {}
    for requirement in needed:
        found.setdefault(str(requirement), _look_up(requirement))
    for requirement in needed:
        for extra in sorted(requirement.extras):
            try:
                inner = requirements(extra, requirement.name)
            except metadata.PackageNotFoundError:
                continue  # it is reported as missing itself
            for one in inner:
                found.setdefault(str(one), _look_up(one, direct=False))
    return list(found.values())


def words(needed: Sequence[Requirement]) -> str:
    """Return requirements as words of a command. They name packages, for mien itself may not be on an index."""
    return " ".join(f"'{canonicalize_name(row.name)}{_extras(row)}{row.specifier}'" for row in needed)


def _extras(row: Requirement) -> str:
    return f"[{','.join(sorted(row.extras))}]" if row.extras else ""


def _of(extra: str, distribution: str) -> Iterator[Requirement]:
    for requirement in map(Requirement, metadata.requires(distribution) or []):
        if not _is_of(extra, requirement):
            continue
        if canonicalize_name(requirement.name) == canonicalize_name(distribution):
            for included in sorted(requirement.extras):
                yield from _of(included, distribution)
        else:
            yield requirement


def _is_of(extra: str, requirement: Requirement) -> bool:
    """Whether a requirement holds on this machine because of the extra, or without one if none is named."""
    marker = requirement.marker
    if not extra:
        return marker is None or marker.evaluate({"extra": ""})
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _look_up(requirement: Requirement, direct: bool = True) -> Found:
    for one in (requirement.name, *_ALTERNATIVES.get(canonicalize_name(requirement.name), ())):
        try:
            return Found(requirement, one, metadata.version(one), direct)
        except metadata.PackageNotFoundError:
            continue
    return Found(requirement, None, None, direct)
