"""One module a page; Streamlit runs each as a script."""
