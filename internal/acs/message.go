package acs

// HeartbeatMessage tells the agent that the server is there; the agent answers
// with HeartbeatAckRequest. On TCS it has no id and no answer.
type HeartbeatMessage struct {
	MessageID string `json:"messageId,omitempty"`
	Healthy   bool   `json:"healthy"`
}

// HeartbeatAckRequest answers a HeartbeatMessage.
type HeartbeatAckRequest struct {
	MessageID string `json:"messageId"`
}

// PayloadMessage brings tasks that are new or whose desired status changed.
// The stock agent takes none without the three names.
type PayloadMessage struct {
	MessageID         string `json:"messageId"`
	Cluster           string `json:"clusterArn"`
	ContainerInstance string `json:"containerInstanceArn"`
	SeqNum            int64  `json:"seqNum"` // rises with every payload and manifest of an instance
	GeneratedAt       int64  `json:"generatedAt"`
	Timeline          int64  `json:"timeline"`
	Tasks             []Task `json:"tasks"`
}

// AckRequest says that the agent has taken charge of a message.
type AckRequest struct {
	Cluster           string `json:"cluster"`
	ContainerInstance string `json:"containerInstance"`
	MessageID         string `json:"messageId"`
}

// NackRequest refuses a message.
type NackRequest struct {
	Cluster           string `json:"cluster"`
	ContainerInstance string `json:"containerInstance"`
	MessageID         string `json:"messageId"`
	Reason            string `json:"reason"`
}

// The two roles of a task.
const (
	TaskApplication = "TaskApplication"
	TaskExecution   = "TaskExecution"
)

// IAMRoleCredentialsMessage renews the credentials of one role of a task.
type IAMRoleCredentialsMessage struct {
	MessageID   string           `json:"messageId"`
	Task        string           `json:"taskArn"`
	TaskCluster string           `json:"taskClusterArn,omitempty"`
	RoleType    string           `json:"roleType"` // TaskApplication or TaskExecution
	Credentials *RoleCredentials `json:"roleCredentials"`
}

// IAMRoleCredentialsAckRequest says that the agent holds the credentials.
type IAMRoleCredentialsAckRequest struct {
	MessageID     string `json:"messageId"`
	Expiration    string `json:"expiration"`
	CredentialsID string `json:"credentialsId"`
}

// TaskManifestMessage lists every task that the instance should have. An agent
// ignores one whose Timeline is not above the highest it has seen.
type TaskManifestMessage struct {
	MessageID         string           `json:"messageId"`
	Cluster           string           `json:"clusterArn"`
	ContainerInstance string           `json:"containerInstanceArn"`
	GeneratedAt       int64            `json:"generatedAt"`
	Timeline          int64            `json:"timeline"`
	Tasks             []TaskIdentifier `json:"tasks"`
}

// TaskIdentifier names a task and what is wanted of it.
type TaskIdentifier struct {
	Task          string `json:"taskArn"`
	Cluster       string `json:"taskClusterArn,omitempty"`
	DesiredStatus string `json:"desiredStatus,omitempty"`
	// DhowLastStatus is what the server last heard of the task. A dhow agent
	// that does not know a task it once reported RUNNING has lost it, and says so.
	DhowLastStatus string `json:"dhowLastStatus,omitempty"`
}

// TaskStopVerificationMessage asks whether these tasks, which run on the
// instance but are not in the manifest, may be stopped.
type TaskStopVerificationMessage struct {
	MessageID      string           `json:"messageId"` // the manifest's
	StopCandidates []TaskIdentifier `json:"stopCandidates"`
}

// TaskStopVerificationAck names those that may.
type TaskStopVerificationAck struct {
	MessageID   string           `json:"messageId"`
	GeneratedAt int64            `json:"generatedAt"`
	StopTasks   []TaskIdentifier `json:"stopTasks"`
}

// AttachTaskNetworkInterfacesMessage announces an interface of a task. dhow
// sends interfaces with the task instead; an agent acknowledges it.
type AttachTaskNetworkInterfacesMessage struct {
	MessageID         string                    `json:"messageId"`
	Cluster           string                    `json:"clusterArn"`
	ContainerInstance string                    `json:"containerInstanceArn"`
	Task              string                    `json:"taskArn"`
	TaskCluster       string                    `json:"taskClusterArn,omitempty"`
	GeneratedAt       int64                     `json:"generatedAt"`
	WaitTimeoutMs     int64                     `json:"waitTimeoutMs,omitempty"`
	Interfaces        []ElasticNetworkInterface `json:"elasticNetworkInterfaces,omitempty"`
}

// AttachInstanceNetworkInterfacesMessage announces an interface of the
// instance; an agent acknowledges it.
type AttachInstanceNetworkInterfacesMessage struct {
	MessageID         string                    `json:"messageId"`
	Cluster           string                    `json:"clusterArn"`
	ContainerInstance string                    `json:"containerInstanceArn"`
	GeneratedAt       int64                     `json:"generatedAt"`
	WaitTimeoutMs     int64                     `json:"waitTimeoutMs,omitempty"`
	Interfaces        []ElasticNetworkInterface `json:"elasticNetworkInterfaces,omitempty"`
}

// ConfirmAttachmentMessage asks for the confirmation of an attachment; an agent
// acknowledges it.
type ConfirmAttachmentMessage struct {
	MessageID         string `json:"messageId"`
	Cluster           string `json:"clusterArn"`
	ContainerInstance string `json:"containerInstanceArn"`
	Task              string `json:"taskArn,omitempty"`
	TaskCluster       string `json:"taskClusterArn,omitempty"`
	GeneratedAt       int64  `json:"generatedAt"`
}

// StageUpdateMessage asks the agent to fetch a newer version of itself. dhow's
// refuses.
type StageUpdateMessage struct {
	MessageID         string `json:"messageId"`
	Cluster           string `json:"clusterArn"`
	ContainerInstance string `json:"containerInstanceArn"`
}

// PerformUpdateMessage asks the agent to update itself. dhow's refuses.
type PerformUpdateMessage struct {
	MessageID         string `json:"messageId"`
	Cluster           string `json:"clusterArn"`
	ContainerInstance string `json:"containerInstanceArn"`
}

// CloseMessage announces that the server is about to close the connection.
type CloseMessage struct {
	Message string `json:"message,omitempty"`
}

// ErrorMessage tells of a message that the server could not take.
type ErrorMessage struct {
	Message string `json:"message,omitempty"`
}
