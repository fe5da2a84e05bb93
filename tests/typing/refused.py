"""What type checkers have to refuse: each line is a mistake, and a checker complains of a comment that hides none."""

import numpy as np

import lowrank

A = np.eye(3)


def mistakes() -> None:                  # never called
    lowrank.truncated_svd(A, 1.5)  # type: ignore[arg-type]
    lowrank.truncated_svd(A, 1, tol="small")  # type: ignore[arg-type]
    lowrank.randomized_svd(A, 1, method="krilov")  # type: ignore[arg-type]
    lowrank.estimate_error(A, A, norm="spectral")  # type: ignore[arg-type]
    lowrank.cur(A, 1, select="leverages")  # type: ignore[arg-type]
    lowrank.msign(A, method="svdd")  # type: ignore[arg-type]
    lowrank.spectral_decay(A, 0.1, method="powr")  # type: ignore[arg-type]
    lowrank.soft_topk_vjp(A, 1, A, method="laplac")  # type: ignore[arg-type]
    lowrank.nystrom(A, 1, rng="seed")  # type: ignore[arg-type]
    lowrank.svfun(A, 2.0)  # type: ignore[arg-type]
    lowrank.truncated_svd(A, 1).sigma  # type: ignore[attr-defined]
    lowrank.truncated_svd(A, 1).U = A  # type: ignore[misc]
    lowrank.truncated_svd(A, ranks=1)  # type: ignore[call-arg]
    lowrank.truncate_svd(A, 1)  # type: ignore[attr-defined]
