"""Linear algebra by its modern names: factorizations, solutions, norms; all with gradients.

>>> import dtorch
>>> float(dtorch.linalg.det(2 * dtorch.eye(3)))
8.0
"""

from dtorch.core.errors import LinAlgError
from dtorch.core.functions import (
    linalg_cholesky as cholesky,
    linalg_cond as cond,
    linalg_cross as cross,
    linalg_det as det,
    linalg_diagonal as diagonal,
    linalg_eig as eig,
    linalg_eigh as eigh,
    linalg_eigvals as eigvals,
    linalg_eigvalsh as eigvalsh,
    linalg_inverse as inv,
    linalg_lstsq as lstsq,
    linalg_lu_factor as lu_factor,
    linalg_matrix_norm as matrix_norm,
    linalg_matrix_power as matrix_power,
    linalg_matrix_rank as matrix_rank,
    linalg_multi_dot as multi_dot,
    linalg_norm as norm,
    linalg_pinv as pinv,
    linalg_qr as qr,
    linalg_slogdet as slogdet,
    linalg_svd as svd,
    linalg_svdvals as svdvals,
    linalg_vander as vander,
    linalg_vecdot as vecdot,
    linalg_vector_norm as vector_norm,
    lu_solve,
    matmul,
    matrix_exp,
    solve,
    solve_triangular,
)

__all__ = [
    "LinAlgError", "cholesky", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh",
    "inv", "lstsq", "lu_factor", "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power",
    "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd",
    "svdvals", "vander", "vecdot", "vector_norm",
]  # fmt: skip
