"""What stands before the gateway on AWS: the two hosts of the load balancer, and Cognito's managed login."""
