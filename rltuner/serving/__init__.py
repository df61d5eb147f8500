"""What all pages share: headers and limits, connections that say nothing, the listening socket.

Nothing here knows what is served. It uses FastAPI's Starlette and uvicorn only.
"""
