"""Where rows come from: files, hub datasets, and the fictional corpus."""
