"""How long each arrival had one of the pool's connections, where more were on their way than the pool has. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pool_time(begin: NDArray[np.float64], end: NDArray[np.float64], pool: int) -> NDArray[np.float64]:
    """Of each arrival, its part of the pool's time, in seconds.

    Args:
        begin: When each was sent.
        end: When each was answered.
        pool: How many connections there are.

    A pooler keeps no connection idle while anybody waits. So with n on their way, all n have one, or all of the pool
    is busy: the parts add up to exactly how long its connections were in use, whoever of them it was that waited.
    """
    if not len(begin):
        return np.zeros(0)
    moments = np.concatenate([begin, end])
    order = np.argsort(moments, kind="stable")
    change = np.concatenate([np.ones(len(begin)), -np.ones(len(end))])[order]
    at = moments[order]
    on_their_way = np.cumsum(change)[:-1]
    share = np.minimum(1.0, pool / np.maximum(on_their_way, 1.0))
    until = np.concatenate([np.zeros(1), np.cumsum(share * np.diff(at))])
    return np.asarray(np.interp(end, at, until) - np.interp(begin, at, until))
