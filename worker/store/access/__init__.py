"""The records of access: written, chained, reviewed once a month, and watched for what is unusual."""
