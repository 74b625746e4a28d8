package events

func (r *recorded) connections() {
	const at = "TestEventBridgeConnections::"
	key := object{"ApiKeyAuthParameters": object{"ApiKeyName": "ApiKey", "ApiKeyValue": "value"}}
	withHTTP := object{"ApiKeyAuthParameters": key["ApiKeyAuthParameters"], "InvocationHttpParameters": object{}}
	r.same(at+"test_create_connection", "create-connection", r.do("CreateConnection", object{"Name": "c1", "AuthorizationType": "API_KEY", "AuthParameters": withHTTP}))
	r.same(at+"test_create_connection", "describe-connection", r.do("DescribeConnection", object{"Name": "c1"}))
	r.same(at+"test_create_connection_name_validation", "create-connection-invalid-name-error",
		r.do("CreateConnection", object{"Name": "Invalid Name With Spaces!", "AuthorizationType": "API_KEY", "AuthParameters": key}))
	r.same(at+"test_create_connection_with_auth[auth_params1]", "create-connection-auth", r.do("CreateConnection", object{"Name": "c2", "AuthorizationType": "API_KEY", "AuthParameters": key}))
	r.same(at+"test_create_connection_with_auth[auth_params1]", "describe-connection-auth", r.do("DescribeConnection", object{"Name": "c2"}))
	basic := func(user, password string) object {
		return object{"BasicAuthParameters": object{"Username": user, "Password": password}}
	}
	r.same(at+"test_connection_secrets[basic]", "create-connection-auth", r.do("CreateConnection", object{"Name": "c3", "AuthorizationType": "BASIC", "AuthParameters": basic("user", "pass")}))
	r.same(at+"test_connection_secrets[basic]", "describe-connection-auth", r.do("DescribeConnection", object{"Name": "c3"}))
	r.same(at+"test_list_connections", "list-connections", r.do("ListConnections", object{"NamePrefix": "c3"}))
	auth := basic("user", "pass")
	auth["InvocationHttpParameters"] = object{}
	r.same(at+"test_update_connection", "create-connection", r.do("CreateConnection", object{"Name": "c4", "AuthorizationType": "BASIC", "AuthParameters": auth}))
	r.same(at+"test_update_connection", "describe-created-connection", r.do("DescribeConnection", object{"Name": "c4"}))
	auth["BasicAuthParameters"] = object{"Username": "new_user", "Password": "new_pass"}
	r.same(at+"test_update_connection", "update-connection", r.do("UpdateConnection", object{"Name": "c4", "AuthorizationType": "BASIC", "AuthParameters": auth}))
	r.same(at+"test_update_connection", "describe-updated-connection", r.do("DescribeConnection", object{"Name": "c4"}))
	r.same("TestEvents::test_create_connection_validations", "create_connection_exc",
		r.do("CreateConnection", object{"Name": "This should fail with two errors 123467890123412341234123412341234", "AuthorizationType": "INVALID", "AuthParameters": basic("user", "pass")}))
}

func (r *recorded) destinations() {
	const at = "TestEventBridgeApiDestinations::"
	// The endpoint of its tokens gives none: the destination stays inactive.
	c := r.must("CreateConnection", object{"Name": "oauth", "AuthorizationType": "OAUTH_CLIENT_CREDENTIALS", "AuthParameters": object{"OAuthParameters": object{
		"AuthorizationEndpoint": r.url + "/no", "HttpMethod": "POST", "ClientParameters": object{"ClientID": "id", "ClientSecret": "password"}}}})
	in := object{"Name": "d", "ConnectionArn": c["ConnectionArn"], "HttpMethod": "POST", "InvocationEndpoint": "https://example.com/api", "Description": "Test API destination"}
	r.same(at+"test_api_destinations[auth2]", "create-api-destination", r.do("CreateApiDestination", in))
	r.same(at+"test_api_destinations[auth2]", "describe-api-destination", r.do("DescribeApiDestination", object{"Name": "d"}))
	r.same(at+"test_api_destinations[auth2]", "list-api-destinations", r.do("ListApiDestinations", object{"NamePrefix": "d"}))
	r.same(at+"test_api_destinations[auth2]", "update-api-destination", r.do("UpdateApiDestination", object{"Name": "d", "ConnectionArn": c["ConnectionArn"], "HttpMethod": "PUT",
		"InvocationEndpoint": "https://example.com/api/v2", "Description": "Updated API destination"}))
	r.same(at+"test_api_destinations[auth2]", "describe-updated-api-destination", r.do("DescribeApiDestination", object{"Name": "d"}))
	r.same(at+"test_api_destinations[auth2]", "delete-api-destination", r.do("DeleteApiDestination", object{"Name": "d"}))
	r.same(at+"test_api_destinations[auth2]", "describe-api-destination-not-found-error", r.do("DescribeApiDestination", object{"Name": "d"}))
	in["Name"], in["ConnectionArn"], in["HttpMethod"] = "d", "invalid-connection-arn", "INVALID_METHOD"
	r.same(at+"test_create_api_destination_invalid_parameters", "create-api-destination-invalid-parameters-error", r.do("CreateApiDestination", in))
	in["Name"], in["ConnectionArn"], in["HttpMethod"] = "Invalid Name With Spaces!", c["ConnectionArn"], "POST"
	r.same(at+"test_create_api_destination_name_validation", "create-api-destination-invalid-name-error", r.do("CreateApiDestination", in))
}
