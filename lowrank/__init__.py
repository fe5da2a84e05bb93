"""Low-rank approximation, the matrix sign and smooth top-k: a package exported from the book that
derives it.

Each module is exported from the chapter of the same name, and imported when it is first used: a
mistake in one chapter does not break the others.

Generated from _toc.yml and the chapters; edit those.
"""

from importlib import import_module as _import_module

__version__ = "0.2.0"

_CHAPTERS = [
    "pseudo_inverse",
    "svd",
    "choosing_rank",
    "sketching",
    "embeddings",
    "error_estimates",
    "column_row",
    "interpolative",
    "skeleton",
    "psd",
    "retrieval",
    "equioscillation",
    "newton_schulz",
    "polar_express",
    "polar_factor",
    "clipping",
    "norms",
    "muon",
    "simplex_maps",
    "thresholds",
    "topk",
    "sampling",
    "monarch",
    "estimators",
    "torch_optimizer",
    "optax_optimizer",
    "arguments",
    "arrays",
    "autograd",
    "derivatives",
    "linear_map",
]

_HOME = {
    "PenroseResiduals": "pseudo_inverse",
    "penrose_residuals": "pseudo_inverse",
    "PinvInfo": "pseudo_inverse",
    "pinv": "pseudo_inverse",
    "best_factor": "pseudo_inverse",
    "NewtonSchulzInverse": "pseudo_inverse",
    "pinv_newton_schulz": "pseudo_inverse",
    "TruncatedSVD": "svd",
    "truncated_svd": "svd",
    "RankChoice": "choosing_rank",
    "choose_rank": "choosing_rank",
    "hard_threshold": "choosing_rank",
    "SignalRank": "choosing_rank",
    "signal_rank": "choosing_rank",
    "SubspaceBound": "choosing_rank",
    "wedin_bound": "choosing_rank",
    "randomized_svd": "sketching",
    "Embedding": "embeddings",
    "embedding_distortion": "embeddings",
    "leverage_scores": "embeddings",
    "subspace_embedding": "embeddings",
    "SketchedSolution": "embeddings",
    "sketched_lstsq": "embeddings",
    "ErrorEstimate": "error_estimates",
    "estimate_error": "error_estimates",
    "RangeBasis": "error_estimates",
    "range_finder": "error_estimates",
    "CRInfo": "column_row",
    "cr_multiply": "column_row",
    "cr_weights": "column_row",
    "InterpolativeDecomposition": "interpolative",
    "interp_decomp": "interpolative",
    "MaxVolume": "skeleton",
    "maxvol": "skeleton",
    "CUR": "skeleton",
    "cur": "skeleton",
    "aca": "skeleton",
    "RPCholesky": "psd",
    "rpcholesky": "psd",
    "Nystrom": "psd",
    "nystrom": "psd",
    "Ranking": "retrieval",
    "CURIndex": "retrieval",
    "Alternation": "equioscillation",
    "Minimax": "equioscillation",
    "remez": "equioscillation",
    "alternation_points": "equioscillation",
    "pade_step": "newton_schulz",
    "schatten_norm": "newton_schulz",
    "apply_schedule": "newton_schulz",
    "PolarResiduals": "newton_schulz",
    "polar_residuals": "newton_schulz",
    "NewtonSchulzRoot": "newton_schulz",
    "sqrtm_newton_schulz": "newton_schulz",
    "Schedule": "polar_express",
    "optimal_msign_schedule": "polar_express",
    "best_degrees": "polar_express",
    "SignInfo": "polar_factor",
    "msign": "polar_factor",
    "msign_jvp": "polar_factor",
    "msign_vjp": "polar_factor",
    "svfun": "clipping",
    "mclip": "clipping",
    "mstep": "clipping",
    "svfun_jvp": "clipping",
    "svfun_vjp": "clipping",
    "PowerInfo": "norms",
    "spectral_norm": "norms",
    "spectral_norm_grad": "norms",
    "nuclear_norm": "norms",
    "nuclear_norm_grad": "norms",
    "spectral_decay": "norms",
    "MuonUpdate": "muon",
    "muon_update": "muon",
    "MuonState": "muon",
    "Muon": "muon",
    "softmax": "simplex_maps",
    "softmax_vjp": "simplex_maps",
    "sparsemax": "simplex_maps",
    "sparsemax_vjp": "simplex_maps",
    "entmax": "simplex_maps",
    "entmax_vjp": "simplex_maps",
    "soft_topk": "topk",
    "soft_topk_vjp": "topk",
    "soft_topk_jvp": "topk",
    "topk_temperature": "topk",
    "sample_topk": "sampling",
    "divisors": "monarch",
    "Monarch": "monarch",
    "monarch_project": "monarch",
    "monarch_dense": "monarch",
    "monarch_matmul": "monarch",
    "MonarchOption": "monarch",
    "monarch_options": "monarch",
    "dft_monarch": "monarch",
    "monarch_solve": "monarch",
    "monarch_slogdet": "monarch",
    "LowRankSVD": "estimators",
    "ColumnSelector": "estimators",
    "RPCholeskyFeatures": "estimators",
    "TorchMuon": "torch_optimizer",
    "muon_groups": "torch_optimizer",
    "muon_layouts": "optax_optimizer",
    "muon_labels": "optax_optimizer",
    "ScaleByMuonState": "optax_optimizer",
    "scale_by_muon": "optax_optimizer",
    "optax_muon": "optax_optimizer",
}

_EXTRA = {
    "estimators": "sklearn",
    "torch_optimizer": "torch",
    "optax_optimizer": "jax",
    "autograd": "torch",
}  # modules that need more than the package requires

__all__ = [name for name, module in _HOME.items() if module not in _EXTRA]


def __getattr__(name):
    if name in _CHAPTERS:
        return _import_module(f"{__name__}.{name}")
    if name in _HOME:
        return getattr(_import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_HOME, *_CHAPTERS})
