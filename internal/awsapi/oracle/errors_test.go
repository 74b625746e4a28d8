package oracle

import (
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	r53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// The typed errors of the SDK's packages that have no registry of them.
var (
	elbErrors = []error{
		&elbtypes.AllocationIdNotFoundException{}, &elbtypes.ALPNPolicyNotSupportedException{},
		&elbtypes.AvailabilityZoneNotSupportedException{}, &elbtypes.CaCertificatesBundleNotFoundException{},
		&elbtypes.CapacityDecreaseRequestsLimitExceededException{}, &elbtypes.CapacityReservationPendingException{},
		&elbtypes.CapacityUnitsLimitExceededException{}, &elbtypes.CertificateNotFoundException{},
		&elbtypes.DeleteAssociationSameAccountException{}, &elbtypes.DuplicateListenerException{},
		&elbtypes.DuplicateLoadBalancerNameException{}, &elbtypes.DuplicateTagKeysException{},
		&elbtypes.DuplicateTargetGroupNameException{}, &elbtypes.DuplicateTrustStoreNameException{},
		&elbtypes.HealthUnavailableException{}, &elbtypes.IncompatibleProtocolsException{},
		&elbtypes.InsufficientCapacityException{}, &elbtypes.InvalidCaCertificatesBundleException{},
		&elbtypes.InvalidConfigurationRequestException{}, &elbtypes.InvalidLoadBalancerActionException{},
		&elbtypes.InvalidRevocationContentException{}, &elbtypes.InvalidSchemeException{},
		&elbtypes.InvalidSecurityGroupException{}, &elbtypes.InvalidSubnetException{}, &elbtypes.InvalidTargetException{},
		&elbtypes.ListenerNotFoundException{}, &elbtypes.LoadBalancerNotFoundException{},
		&elbtypes.OperationNotPermittedException{}, &elbtypes.PriorityInUseException{},
		&elbtypes.PriorRequestNotCompleteException{}, &elbtypes.ResourceInUseException{},
		&elbtypes.ResourceNotFoundException{}, &elbtypes.RevocationContentNotFoundException{},
		&elbtypes.RevocationIdNotFoundException{}, &elbtypes.RuleNotFoundException{}, &elbtypes.SSLPolicyNotFoundException{},
		&elbtypes.SubnetNotFoundException{}, &elbtypes.TargetGroupAssociationLimitException{},
		&elbtypes.TargetGroupNotFoundException{}, &elbtypes.TooManyActionsException{},
		&elbtypes.TooManyCertificatesException{}, &elbtypes.TooManyListenersException{},
		&elbtypes.TooManyLoadBalancersException{}, &elbtypes.TooManyRegistrationsForTargetIdException{},
		&elbtypes.TooManyRulesException{}, &elbtypes.TooManyTagsException{}, &elbtypes.TooManyTargetGroupsException{},
		&elbtypes.TooManyTargetsException{}, &elbtypes.TooManyTrustStoreRevocationEntriesException{},
		&elbtypes.TooManyTrustStoresException{}, &elbtypes.TooManyUniqueTargetGroupsPerLoadBalancerException{},
		&elbtypes.TrustStoreAssociationNotFoundException{}, &elbtypes.TrustStoreInUseException{},
		&elbtypes.TrustStoreNotFoundException{}, &elbtypes.TrustStoreNotReadyException{},
		&elbtypes.UnsupportedProtocolException{},
	}
	stsErrors = []error{
		&ststypes.ExpiredTokenException{}, &ststypes.ExpiredTradeInTokenException{},
		&ststypes.IDPCommunicationErrorException{}, &ststypes.IDPRejectedClaimException{},
		&ststypes.InvalidAuthorizationMessageException{}, &ststypes.InvalidIdentityTokenException{},
		&ststypes.JWTPayloadSizeExceededException{}, &ststypes.MalformedPolicyDocumentException{},
		&ststypes.OutboundWebIdentityFederationDisabledException{}, &ststypes.PackedPolicyTooLargeException{},
		&ststypes.RegionDisabledException{}, &ststypes.SessionDurationEscalationException{},
	}
	route53Errors = []error{
		&r53types.CidrBlockInUseException{}, &r53types.CidrCollectionAlreadyExistsException{},
		&r53types.CidrCollectionInUseException{}, &r53types.CidrCollectionVersionMismatchException{},
		&r53types.ConcurrentModification{}, &r53types.ConflictingDomainExists{}, &r53types.ConflictingTypes{},
		&r53types.DelegationSetAlreadyCreated{}, &r53types.DelegationSetAlreadyReusable{}, &r53types.DelegationSetInUse{},
		&r53types.DelegationSetNotAvailable{}, &r53types.DelegationSetNotReusable{}, &r53types.DNSSECNotFound{},
		&r53types.HealthCheckAlreadyExists{}, &r53types.HealthCheckInUse{}, &r53types.HealthCheckVersionMismatch{},
		&r53types.HostedZoneAlreadyExists{}, &r53types.HostedZoneNotEmpty{}, &r53types.HostedZoneNotFound{},
		&r53types.HostedZoneNotPrivate{}, &r53types.HostedZonePartiallyDelegated{}, &r53types.IncompatibleVersion{},
		&r53types.InsufficientCloudWatchLogsResourcePolicy{}, &r53types.InvalidArgument{}, &r53types.InvalidChangeBatch{},
		&r53types.InvalidDomainName{}, &r53types.InvalidInput{}, &r53types.InvalidKeySigningKeyName{},
		&r53types.InvalidKeySigningKeyStatus{}, &r53types.InvalidKMSArn{}, &r53types.InvalidPaginationToken{},
		&r53types.InvalidSigningStatus{}, &r53types.InvalidTrafficPolicyDocument{}, &r53types.InvalidVPCId{},
		&r53types.KeySigningKeyAlreadyExists{}, &r53types.KeySigningKeyInParentDSRecord{}, &r53types.KeySigningKeyInUse{},
		&r53types.KeySigningKeyWithActiveStatusNotFound{}, &r53types.LastVPCAssociation{}, &r53types.LimitsExceeded{},
		&r53types.NoSuchChange{}, &r53types.NoSuchCidrCollectionException{}, &r53types.NoSuchCidrLocationException{},
		&r53types.NoSuchCloudWatchLogsLogGroup{}, &r53types.NoSuchDelegationSet{}, &r53types.NoSuchGeoLocation{},
		&r53types.NoSuchHealthCheck{}, &r53types.NoSuchHostedZone{}, &r53types.NoSuchKeySigningKey{},
		&r53types.NoSuchQueryLoggingConfig{}, &r53types.NoSuchTrafficPolicy{}, &r53types.NoSuchTrafficPolicyInstance{},
		&r53types.NotAuthorizedException{}, &r53types.PriorRequestNotComplete{}, &r53types.PublicZoneVPCAssociation{},
		&r53types.QueryLoggingConfigAlreadyExists{}, &r53types.ThrottlingException{}, &r53types.TooManyHealthChecks{},
		&r53types.TooManyHostedZones{}, &r53types.TooManyKeySigningKeys{}, &r53types.TooManyTrafficPolicies{},
		&r53types.TooManyTrafficPolicyInstances{}, &r53types.TooManyTrafficPolicyVersionsForCurrentPolicy{},
		&r53types.TooManyVPCAssociationAuthorizations{}, &r53types.TrafficPolicyAlreadyExists{},
		&r53types.TrafficPolicyInstanceAlreadyExists{}, &r53types.TrafficPolicyInUse{},
		&r53types.VPCAssociationAuthorizationNotFound{}, &r53types.VPCAssociationNotFound{},
	}
)
