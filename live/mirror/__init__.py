"""The mirror of sessions in Firestore: documents made of their files, sent by a thread, compared and restored."""
