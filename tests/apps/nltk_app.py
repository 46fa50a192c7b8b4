"""NLTK in a ProcessPoolExecutor: a tokenizer, a stemmer and a classifier, which are objects of the parent."""
from concurrent.futures import ProcessPoolExecutor
from nltk import FreqDist, NaiveBayesClassifier, PorterStemmer, RegexpTokenizer
tokens, stem = RegexpTokenizer(r"\w+"), PorterStemmer()
def count(text): return FreqDist(stem.stem(w) for w in tokens.tokenize(text))
def features(w): return {"last": w[-1], "len": len(w)}
if __name__ == "__main__":
    texts = ["Running runners ran; houses and housing %d times" % i for i in range(8)]
    model = NaiveBayesClassifier.train([(features(w), w[-1] in "aeiou") for w in "banana tree sky cloud house stone rain sea".split()])
    with ProcessPoolExecutor(2) as ex:
        print("RESULT", sorted(sum(ex.map(count, texts), FreqDist()).items()))
        print("RESULT", list(ex.map(model.classify, [features(w) for w in ("piano", "trust", "apple")])))
