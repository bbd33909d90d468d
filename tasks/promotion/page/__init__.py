"""The run page: what each section shows, how it is drawn, and the template that holds it."""
