"""How tonight's rows differ from another night's."""
