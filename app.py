"""The app's navigation: `streamlit run app.py`, or `mapper app`."""

import streamlit as st

from mapper_ai.ui.parts.frame import PAGE_TITLES, PAGES

# No icons here: Streamlit makes the page's icon the favicon and would fetch it from a font server.
st.set_page_config(page_title="mapper-ai", layout="wide", initial_sidebar_state="collapsed")
st.navigation(
    [
        # The first page is the address itself.
        st.Page(PAGES[name], title=title, default=name == "projects", url_path=None if name == "projects" else name)
        for name, title in PAGE_TITLES.items()
    ],
    position="top",
).run()
