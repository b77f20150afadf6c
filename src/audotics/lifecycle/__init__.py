"""The life of a model: retrain from the journal, judge, promote or refuse, and take back."""
