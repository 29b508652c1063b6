"""The app's navigation: `streamlit run app.py`, or `mapper app`."""

import streamlit as st

from mapper_ai.ui.parts.frame import PAGES

# No icons here: Streamlit makes the page's icon the favicon and would fetch it from a font server.
st.set_page_config(page_title="mapper-ai", layout="wide", initial_sidebar_state="collapsed")
st.navigation(
    [
        st.Page(PAGES["projects"], title="Projects", default=True),
        st.Page(PAGES["samples"], title="Samples", url_path="samples"),
        st.Page(PAGES["review"], title="Review", url_path="review"),
        st.Page(PAGES["preview"], title="Preview", url_path="preview"),
        st.Page(PAGES["run"], title="Run", url_path="run"),
        st.Page(PAGES["settings"], title="Settings", url_path="settings"),
    ],
    position="top",
).run()
