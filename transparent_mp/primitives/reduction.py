import cloudpickle
from multiprocessing.reduction import ForkingPickler
from collections import ChainMap
import io,copyreg
class P(cloudpickle.Pickler):
    dispatch_table=ChainMap(ForkingPickler._extra_reducers, cloudpickle.Pickler.dispatch_table)
def dumps(o):
    f=io.BytesIO(); P(f,5).dump(o); return f.getvalue()
