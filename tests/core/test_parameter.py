"""Parameters are core's, under the name they have always had."""

import pickle

import dtorch
from dtorch.core.parameter import Parameter


def test_pickles_that_name_the_class_by_its_public_module_load():
    written = pickle.dumps(Parameter(dtorch.ones(2)), protocol=0)
    older = written.replace(b"dtorch.core.parameter", b"dtorch.nn.parameter")
    assert older != written
    loaded = pickle.loads(older)
    assert type(loaded) is dtorch.nn.Parameter
    assert loaded.tolist() == [1, 1]
