"""What is read: token ids, packed rows, masks."""
