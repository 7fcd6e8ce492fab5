"""The application on modelmeter: data models, reports and the command line."""
