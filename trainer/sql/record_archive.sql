SELECT ml.record_archive(%s, %s, %s, %s, %s, %s, %s)
