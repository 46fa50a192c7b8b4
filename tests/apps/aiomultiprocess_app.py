"""aiomultiprocess: asyncio in spawned processes: Process, Worker, a Pool with map, starmap, apply, exceptions."""
import asyncio, aiomultiprocess as amp
async def double(x): await asyncio.sleep(0); return x * 2
async def add(a, b=1): return a + b
async def bad(x): raise ValueError(f"bad {x}")
async def main():
    print("RESULT", await amp.Worker(target=double, args=(21,)))
    p = amp.Process(target=double, args=(1,)); p.start(); await p.join(); print("RESULT", p.exitcode)
    async with amp.Pool(processes=2, childconcurrency=4, queuecount=2) as pool:
        print("RESULT", await pool.map(double, range(10)), await pool.starmap(add, [(1, 2), (3, 4)]), await pool.apply(add, (1,), {"b": 5}))
        print("RESULT", [x async for x in pool.map(double, range(5))])
        try: await pool.apply(bad, (3,))
        except Exception as e: print("RESULT", type(e).__name__, str(e).strip().splitlines()[-1])
if __name__ == "__main__": asyncio.run(main())
