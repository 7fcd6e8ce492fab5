"""The commands of ``modelmeter``: what each does once its arguments are parsed."""
