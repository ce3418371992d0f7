"""Mixed precision: `autocast` computes in bfloat16 or float16 where that gains and does no harm,
`GradScaler` keeps small gradients of float16 from vanishing.
"""

from dtorch.amp.autocast import autocast
from dtorch.amp.custom import custom_bwd, custom_fwd
from dtorch.amp.grad_scaler import GradScaler
from dtorch.amp.state import is_autocast_available

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
