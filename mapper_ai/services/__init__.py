"""What the command line and the screens ask for; knows no Streamlit."""
