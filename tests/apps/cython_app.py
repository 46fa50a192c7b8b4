"""cythonize(nthreads=2): a pool of processes that each write a .c file."""
import os, tempfile
from Cython.Build import cythonize
if __name__ == "__main__":
    d = tempfile.mkdtemp(); os.chdir(d)
    for i in range(4): open("m%d.pyx" % i, "w").write("def f(int x): return x + %d\n" % i)
    ms = cythonize(["m%d.pyx" % i for i in range(4)], nthreads=2, quiet=True, language_level=3)
    print("RESULT", sorted(m.name for m in ms), sorted(f for f in os.listdir(d) if f.endswith(".c")), all(os.path.getsize("m%d.c" % i) > 50000 for i in range(4)))
