"""Biopython: alignments and reads of a FASTA file in a Pool."""
import random
from multiprocessing import Pool
from Bio import Align, SeqIO
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from Bio.SeqUtils import gc_fraction
aligner = Align.PairwiseAligner(); aligner.mode = "local"
reference = None
def score(record): return record.id, aligner.score(reference.seq, record.seq), round(gc_fraction(record.seq), 4)
def translate(args):
    path, name = args
    with open(path) as f: return next(str(r.seq.translate())[:12] for r in SeqIO.parse(f, "fasta") if r.id == name)
if __name__ == "__main__":
    rnd = random.Random(0)
    records = [SeqRecord(Seq("".join(rnd.choice("ACGT") for _ in range(300))), id=f"r{i}", description="") for i in range(12)]
    SeqIO.write(records, "reads.fasta", "fasta"); reference = records[0]
    with Pool(2) as pool:
        print("RESULT", pool.map(score, records))
        print("RESULT", pool.map(translate, [("reads.fasta", f"r{i}") for i in range(6)]))
