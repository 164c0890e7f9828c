"""How many processors this process may really use: its affinity and its cgroup's quota, not the host's cores."""

from __future__ import annotations

from pathlib import Path

from .system import processors

_CGROUP = Path("/sys/fs/cgroup")


def usable_cpus() -> int:
    """Return the number of processors that this process may use, at least 1."""
    quota = _cgroup_quota()
    return max(1, processors() if quota is None else min(processors(), int(quota + 0.999)))


def _cgroup_quota(root: Path = _CGROUP) -> float | None:
    """Return the cgroup's limit in processors (v2 `cpu.max`, or v1's quota and period), None without one."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        return float(quota) / float(period) if float(quota) > 0 else None
    except (ValueError, ZeroDivisionError):
        return None  # "max": no limit
