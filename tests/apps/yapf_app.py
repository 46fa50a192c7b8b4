"""yapf and autopep8 in parallel: a ProcessPoolExecutor and a Pool that rewrite files in place."""
import _tree, yapf, autopep8
if __name__ == "__main__":
    d = _tree.make(); e = _tree.make()
    rc = yapf.main(["yapf", "-i", "-p", "-r", d])
    rc2 = autopep8.main(["autopep8", "-i", "-j", "2", "-r", e])
    print("RESULT", rc, rc2, _tree.digest(d), _tree.digest(e))
