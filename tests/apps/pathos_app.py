"""pathos: pools that dill what they are given (ProcessPool over multiprocess.Pool, kept between uses)."""
from pathos.multiprocessing import ProcessPool, ProcessingPool
from pathos.pools import ThreadPool, SerialPool
from pathos.helpers import mp
class Model:
    def __init__(self, k): self.k = k
    def run(self, n): return [self.scaled(x) for x in ProcessPool(nodes=2).map(lambda x: x + 1, range(n))]
    def scaled(self, x): return x * self.k
if __name__ == "__main__":
    k = 3                                    # before the pool: dill refers to the globals of __main__
    pool = ProcessPool(nodes=2)
    print("RESULT", pool.map(lambda x, y: x * y + k, [1, 2, 3], [4, 5, 6]), pool.ncpus)
    print("RESULT", list(pool.imap(lambda x: x ** 2, range(5))), sorted(pool.uimap(lambda x: -x, range(5))))
    print("RESULT", pool.amap(lambda x: (lambda y: x + y), [1, 2]).get()[1](10))
    print("RESULT", Model(4).run(4))
    print("RESULT", pool.pipe(Model(5).scaled, 6), list(ThreadPool(2).map(abs, [-1])), list(SerialPool().map(abs, [-2])))
    pool.close(); pool.join(); pool.clear()
    q, out = mp.Queue(), mp.Value("i", 0)
    def child(q, out):
        with out.get_lock(): out.value += 5
        q.put(lambda: k * 2)
    ps = [mp.Process(target=child, args=(q, out)) for _ in range(3)]
    for p in ps: p.start()
    print("RESULT", [q.get()() for p in ps], [p.join() or p.exitcode for p in ps], out.value)
    with mp.Manager() as m:
        d = m.dict()
        ps = [mp.Process(target=lambda i: d.update({i: i * i}), args=(i,)) for i in range(3)]
        for p in ps: p.start()
        for p in ps: p.join()
        print("RESULT", sorted(d.items()))
