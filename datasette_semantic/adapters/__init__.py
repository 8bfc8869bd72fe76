"""Faces for programs that reach SQLite in their own way: SQLAlchemy, Peewee, asyncio, llm."""
