"""Gradients of weight matrices made small: `P^T (G / sqrt(V)) Q` with random P and Q.

A matrix's gradient G (m, n) becomes r x r numbers. P (m, r) and Q (n, r) are Gaussian with variance
1 / r, so inner products of gradients are kept in expectation (Johnson and Lindenstrauss; two-sided
as in Chang et al. 2024, section 3.3, https://arxiv.org/abs/2410.17413). Since G is the sum of outer
products of what came in and the gradient of what went out, both are projected before they are
multiplied and G never exists (Choe et al. 2024, https://arxiv.org/abs/2405.13954). The second
moments' scales are part of P and Q.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.influence.moments import Moments, scales

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """The two factors of each matrix.

    Attributes:
        left: By matrix, float32 (m, r).
        right: By matrix, float32 (n, r).
    """

    left: Mapping[str, Float32]
    right: Mapping[str, Float32]

    @classmethod
    def draw(
        cls, shapes: Mapping[str, tuple[int, int]], dimensions: int, seed: int, moments: Moments
    ) -> Projection:
        """Random factors.

        Args:
            shapes: Of the matrices, by name.
            dimensions: Numbers that a projected gradient has at most, over all matrices.
            seed: Decides the factors, of each matrix independently of the others.
            moments: Of each matrix; none means no correction.

        Raises:
            ValueError: There is not a number for each matrix.
        """
        rank = int((dimensions / max(len(shapes), 1)) ** 0.5)
        if rank < 1:
            raise ValueError(f"{len(shapes)} matrices need more than {dimensions} dimensions")
        left, right = {}, {}
        for number, name in enumerate(sorted(shapes)):
            rng = np.random.default_rng((seed, number))
            factors = [rng.standard_normal((n, rank)) / rank**0.5 for n in shapes[name]]
            if name in moments:
                pair = zip(factors, scales(*moments[name]), strict=True)
                factors = [factor * scale[:, None] for factor, scale in pair]
            left[name], right[name] = (factor.astype(np.float32) for factor in factors)
        return cls(left, right)

    @property
    def names(self) -> list[str]:
        """The matrices, in the order in which they lie in a projected gradient."""
        return sorted(self.left)

    @property
    def rank(self) -> int:
        """Columns of a factor."""
        return int(next(iter(self.left.values())).shape[1])

    @property
    def block(self) -> int:
        """Numbers of one matrix's gradient."""
        return self.rank**2

    @property
    def dimensions(self) -> int:
        """Numbers of a projected gradient."""
        return self.block * len(self.left)

    def arrays(self) -> dict[str, Float32]:
        """All factors by a name that a file can give them."""
        return {f"left:{n}": v for n, v in self.left.items()} | {
            f"right:{n}": v for n, v in self.right.items()
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Float32]) -> Projection:
        """The inverse of `arrays`; other names are passed over."""
        sides: dict[str, dict[str, Float32]] = {"left": {}, "right": {}}
        for name, array in arrays.items():
            side, _, matrix = name.partition(":")
            if side in sides:
                sides[side][matrix] = array
        return cls(sides["left"], sides["right"])
