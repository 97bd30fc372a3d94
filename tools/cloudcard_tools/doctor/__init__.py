"""`cloudcard doctor`: checks what this computer needs, and says for each fault what to do."""
