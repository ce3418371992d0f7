"""Classic tensor types on CUDA devices."""

from dtorch.core import dtype as dtypes
from dtorch.core.typed import tensor_type

FloatTensor = tensor_type("FloatTensor", dtypes.float32, cuda=True)
DoubleTensor = tensor_type("DoubleTensor", dtypes.float64, cuda=True)
HalfTensor = tensor_type("HalfTensor", dtypes.float16, cuda=True)
BFloat16Tensor = tensor_type("BFloat16Tensor", dtypes.bfloat16, cuda=True)
ByteTensor = tensor_type("ByteTensor", dtypes.uint8, cuda=True)
CharTensor = tensor_type("CharTensor", dtypes.int8, cuda=True)
ShortTensor = tensor_type("ShortTensor", dtypes.int16, cuda=True)
IntTensor = tensor_type("IntTensor", dtypes.int32, cuda=True)
LongTensor = tensor_type("LongTensor", dtypes.int64, cuda=True)
BoolTensor = tensor_type("BoolTensor", dtypes.bool_, cuda=True)
