"""gensim: LdaMulticore (a Pool whose processes get the model by a Queue) and CoherenceModel's accumulators (Process + queues)."""
import logging, warnings; warnings.filterwarnings("ignore")
import numpy as np
from gensim.corpora import Dictionary
from gensim.models import LdaMulticore, CoherenceModel
if __name__ == "__main__":
    r = np.random.RandomState(0)
    topics = [["cell", "gene", "dna", "protein", "tissue"], ["star", "orbit", "planet", "comet", "moon"], ["bond", "stock", "fund", "price", "trade"]]
    texts = [[topics[t][i] for i in r.randint(0, 5, 12)] for t in r.randint(0, 3, 200)]
    d = Dictionary(texts); corpus = [d.doc2bow(t) for t in texts]
    lda = LdaMulticore(corpus, id2word=d, num_topics=3, workers=2, passes=3, random_state=1, batch=True)
    found = sorted(sorted(w for w, _ in lda.show_topic(t, 5)) for t in range(3))
    print("RESULT", lda.state.numdocs, len(found), round(float(lda.get_topics().sum()), 3))
    c = CoherenceModel(topics=topics, texts=texts, dictionary=d, coherence="c_v", processes=2)
    print("RESULT", [round(float(v), 4) for v in c.get_coherence_per_topic()])
    u = CoherenceModel(topics=topics, texts=texts, dictionary=d, coherence="c_uci", processes=1)
    print("RESULT", round(float(u.get_coherence()), 4))
