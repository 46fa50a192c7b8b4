"""luigi: tasks run by workers=2, each in a forked TaskProcess that writes its target and reports by a queue."""
import luigi, os, sys, tempfile, logging
FOLDER = os.environ.setdefault("LUIGI_APP_FOLDER", tempfile.mkdtemp())
class Part(luigi.Task):
    n = luigi.IntParameter()
    def output(self): return luigi.LocalTarget(os.path.join(FOLDER, "part%d" % self.n))
    def run(self):
        with self.output().open("w") as f: f.write(str(self.n ** 2))
class Total(luigi.Task):
    def requires(self): return [Part(n=i) for i in range(6)]
    def output(self): return luigi.LocalTarget(os.path.join(FOLDER, "total"))
    def run(self):
        with self.output().open("w") as f: f.write(str(sum(int(i.open().read()) for i in self.input())))
if __name__ == "__main__":
    ok = luigi.build([Total()], workers=2, local_scheduler=True, log_level="ERROR")
    print("RESULT", ok, open(os.path.join(FOLDER, "total")).read(), sorted(os.listdir(FOLDER)))
