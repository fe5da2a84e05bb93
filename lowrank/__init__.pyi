"""What `lowrank` holds, for editors.

Generated from _toc.yml and the chapters; edit those.
"""

from lowrank import (
    arguments as arguments,
    arrays as arrays,
    autograd as autograd,
    choosing_rank as choosing_rank,
    clipping as clipping,
    column_row as column_row,
    derivatives as derivatives,
    embeddings as embeddings,
    equioscillation as equioscillation,
    error_estimates as error_estimates,
    estimators as estimators,
    interpolative as interpolative,
    linear_map as linear_map,
    monarch as monarch,
    muon as muon,
    newton_schulz as newton_schulz,
    norms as norms,
    optax_optimizer as optax_optimizer,
    polar_express as polar_express,
    polar_factor as polar_factor,
    psd as psd,
    pseudo_inverse as pseudo_inverse,
    retrieval as retrieval,
    sampling as sampling,
    simplex_maps as simplex_maps,
    skeleton as skeleton,
    sketching as sketching,
    svd as svd,
    thresholds as thresholds,
    topk as topk,
    torch_optimizer as torch_optimizer,
)
from lowrank.choosing_rank import (
    RankChoice as RankChoice,
    SignalRank as SignalRank,
    SubspaceBound as SubspaceBound,
    choose_rank as choose_rank,
    hard_threshold as hard_threshold,
    signal_rank as signal_rank,
    wedin_bound as wedin_bound,
)
from lowrank.clipping import (
    mclip as mclip,
    mstep as mstep,
    svfun as svfun,
    svfun_jvp as svfun_jvp,
    svfun_vjp as svfun_vjp,
)
from lowrank.column_row import (
    CRInfo as CRInfo,
    cr_multiply as cr_multiply,
    cr_weights as cr_weights,
)
from lowrank.embeddings import (
    Embedding as Embedding,
    SketchedSolution as SketchedSolution,
    embedding_distortion as embedding_distortion,
    leverage_scores as leverage_scores,
    sketched_lstsq as sketched_lstsq,
    subspace_embedding as subspace_embedding,
)
from lowrank.equioscillation import (
    Alternation as Alternation,
    Minimax as Minimax,
    alternation_points as alternation_points,
    remez as remez,
)
from lowrank.error_estimates import (
    ErrorEstimate as ErrorEstimate,
    RangeBasis as RangeBasis,
    estimate_error as estimate_error,
    range_finder as range_finder,
)
from lowrank.estimators import (
    ColumnSelector as ColumnSelector,
    LowRankSVD as LowRankSVD,
    RPCholeskyFeatures as RPCholeskyFeatures,
)
from lowrank.interpolative import (
    InterpolativeDecomposition as InterpolativeDecomposition,
    interp_decomp as interp_decomp,
)
from lowrank.monarch import (
    Monarch as Monarch,
    MonarchOption as MonarchOption,
    dft_monarch as dft_monarch,
    divisors as divisors,
    monarch_dense as monarch_dense,
    monarch_matmul as monarch_matmul,
    monarch_options as monarch_options,
    monarch_project as monarch_project,
    monarch_slogdet as monarch_slogdet,
    monarch_solve as monarch_solve,
)
from lowrank.muon import (
    Muon as Muon,
    MuonState as MuonState,
    MuonUpdate as MuonUpdate,
    muon_update as muon_update,
)
from lowrank.newton_schulz import (
    NewtonSchulzRoot as NewtonSchulzRoot,
    PolarResiduals as PolarResiduals,
    apply_schedule as apply_schedule,
    pade_step as pade_step,
    polar_residuals as polar_residuals,
    schatten_norm as schatten_norm,
    sqrtm_newton_schulz as sqrtm_newton_schulz,
)
from lowrank.norms import (
    PowerInfo as PowerInfo,
    nuclear_norm as nuclear_norm,
    nuclear_norm_grad as nuclear_norm_grad,
    spectral_decay as spectral_decay,
    spectral_norm as spectral_norm,
    spectral_norm_grad as spectral_norm_grad,
)
from lowrank.optax_optimizer import (
    ScaleByMuonState as ScaleByMuonState,
    muon_labels as muon_labels,
    muon_layouts as muon_layouts,
    optax_muon as optax_muon,
    scale_by_muon as scale_by_muon,
)
from lowrank.polar_express import (
    Schedule as Schedule,
    best_degrees as best_degrees,
    optimal_msign_schedule as optimal_msign_schedule,
)
from lowrank.polar_factor import (
    SignInfo as SignInfo,
    msign as msign,
    msign_jvp as msign_jvp,
    msign_vjp as msign_vjp,
)
from lowrank.psd import (
    Nystrom as Nystrom,
    RPCholesky as RPCholesky,
    nystrom as nystrom,
    rpcholesky as rpcholesky,
)
from lowrank.pseudo_inverse import (
    NewtonSchulzInverse as NewtonSchulzInverse,
    PenroseResiduals as PenroseResiduals,
    PinvInfo as PinvInfo,
    best_factor as best_factor,
    penrose_residuals as penrose_residuals,
    pinv as pinv,
    pinv_newton_schulz as pinv_newton_schulz,
)
from lowrank.retrieval import CURIndex as CURIndex, Ranking as Ranking
from lowrank.sampling import sample_topk as sample_topk
from lowrank.simplex_maps import (
    entmax as entmax,
    entmax_vjp as entmax_vjp,
    softmax as softmax,
    softmax_vjp as softmax_vjp,
    sparsemax as sparsemax,
    sparsemax_vjp as sparsemax_vjp,
)
from lowrank.skeleton import (
    CUR as CUR,
    MaxVolume as MaxVolume,
    aca as aca,
    cur as cur,
    maxvol as maxvol,
)
from lowrank.sketching import randomized_svd as randomized_svd
from lowrank.svd import TruncatedSVD as TruncatedSVD, truncated_svd as truncated_svd
from lowrank.topk import (
    soft_topk as soft_topk,
    soft_topk_jvp as soft_topk_jvp,
    soft_topk_vjp as soft_topk_vjp,
    topk_temperature as topk_temperature,
)
from lowrank.torch_optimizer import TorchMuon as TorchMuon, muon_groups as muon_groups

__version__: str

__all__ = [
    "PenroseResiduals",
    "penrose_residuals",
    "PinvInfo",
    "pinv",
    "best_factor",
    "NewtonSchulzInverse",
    "pinv_newton_schulz",
    "TruncatedSVD",
    "truncated_svd",
    "RankChoice",
    "choose_rank",
    "hard_threshold",
    "SignalRank",
    "signal_rank",
    "SubspaceBound",
    "wedin_bound",
    "randomized_svd",
    "Embedding",
    "embedding_distortion",
    "leverage_scores",
    "subspace_embedding",
    "SketchedSolution",
    "sketched_lstsq",
    "ErrorEstimate",
    "estimate_error",
    "RangeBasis",
    "range_finder",
    "CRInfo",
    "cr_multiply",
    "cr_weights",
    "InterpolativeDecomposition",
    "interp_decomp",
    "MaxVolume",
    "maxvol",
    "CUR",
    "cur",
    "aca",
    "RPCholesky",
    "rpcholesky",
    "Nystrom",
    "nystrom",
    "Ranking",
    "CURIndex",
    "Alternation",
    "Minimax",
    "remez",
    "alternation_points",
    "pade_step",
    "schatten_norm",
    "apply_schedule",
    "PolarResiduals",
    "polar_residuals",
    "NewtonSchulzRoot",
    "sqrtm_newton_schulz",
    "Schedule",
    "optimal_msign_schedule",
    "best_degrees",
    "SignInfo",
    "msign",
    "msign_jvp",
    "msign_vjp",
    "svfun",
    "mclip",
    "mstep",
    "svfun_jvp",
    "svfun_vjp",
    "PowerInfo",
    "spectral_norm",
    "spectral_norm_grad",
    "nuclear_norm",
    "nuclear_norm_grad",
    "spectral_decay",
    "MuonUpdate",
    "muon_update",
    "MuonState",
    "Muon",
    "softmax",
    "softmax_vjp",
    "sparsemax",
    "sparsemax_vjp",
    "entmax",
    "entmax_vjp",
    "soft_topk",
    "soft_topk_vjp",
    "soft_topk_jvp",
    "topk_temperature",
    "sample_topk",
    "divisors",
    "Monarch",
    "monarch_project",
    "monarch_dense",
    "monarch_matmul",
    "MonarchOption",
    "monarch_options",
    "dft_monarch",
    "monarch_solve",
    "monarch_slogdet",
]
