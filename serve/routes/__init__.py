"""What is answered to which address; facts are read by `serve.facts` and other packages."""
