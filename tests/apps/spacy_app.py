"""spaCy: nlp.pipe(n_process=2), processes with pipes that get the whole pipeline as bytes."""
import spacy
if __name__ == "__main__":
    nlp = spacy.blank("en"); nlp.add_pipe("sentencizer")
    docs = list(nlp.pipe(["One text. With two sentences, number %d." % i for i in range(40)], n_process=2, batch_size=5))
    print("RESULT", len(docs), sum(len(d) for d in docs), sum(len(list(d.sents)) for d in docs), docs[7][-2].text)
