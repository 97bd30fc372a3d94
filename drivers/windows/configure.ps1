#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Lets a user's agent start at log-on, closes the reader's port to other computers, and attaches the
reader. The machine policy (policy\cloudcard.admx) goes before the parameters.
.PARAMETER Agent
The agent's program, as cloudcard-agent.spec builds it.
.PARAMETER Card
The serial number of the card.
.PARAMETER Via
usbip: Windows' own CCID driver behind usbip-win2. vpcd: vsmartcard's driver, where usbip-win2 cannot
be installed.
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)] [string] $Agent,
    [Parameter(Mandatory)] [ValidatePattern('^[0-9]+$')] [string] $Card,
    [ValidateSet('usbip', 'vpcd')] [string] $Via = 'usbip',
    [ValidateRange(1, 65535)] [int] $Port
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$task = 'Cloudcard agent'
$rule = 'Cloudcard reader: this computer alone'

$policy = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Policies\Cloudcard\Reader' -ErrorAction SilentlyContinue
if ($policy -and $policy.PSObject.Properties['Via']) { $Via = $policy.Via }
if ($policy -and $policy.PSObject.Properties['Port']) { $Port = $policy.Port }
if (-not $Port) { $Port = if ($Via -eq 'usbip') { 3240 } else { 35963 } }
$program = (Get-Item -LiteralPath $Agent).FullName

if ($PSCmdlet.ShouldProcess($env:COMPUTERNAME, "block TCP $Port from other computers")) {
    Remove-NetFirewallRule -DisplayName $rule -ErrorAction SilentlyContinue
    # A block goes before the exception for every network that vsmartcard's installer makes. Traffic
    # of this computer with itself does not pass the firewall.
    New-NetFirewallRule -DisplayName $rule -Direction Inbound -Action Block -Protocol TCP `
        -LocalPort $Port -Profile Any | Out-Null
}
if ($PSCmdlet.ShouldProcess($task, 'start the agent when a user logs on')) {
    $options = "reader --card $Card --via $Via --port $Port"
    $action = New-ScheduledTaskAction -Execute $program -Argument $options
    $trigger = New-ScheduledTaskTrigger -AtLogOn
    # The users' group: the agent runs as whoever logs on, without administrator's rights.
    $principal = New-ScheduledTaskPrincipal -GroupId 'S-1-5-32-545' -RunLevel Limited
    $settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries `
        -ExecutionTimeLimit ([TimeSpan]::Zero) -RestartCount 3 -RestartInterval (New-TimeSpan -Minutes 1)
    Register-ScheduledTask -TaskName $task -Action $action -Trigger $trigger -Principal $principal `
        -Settings $settings -Force | Out-Null
    Start-ScheduledTask -TaskName $task
}
if ($Via -eq 'usbip' -and $PSCmdlet.ShouldProcess('1-1', 'attach the reader')) {
    $usbip = Join-Path $env:ProgramFiles 'USBip\usbip.exe'
    & $usbip --tcp-port $Port attach --remote 127.0.0.1 --bus-id 1-1
    if ($LASTEXITCODE -ne 0) {
        throw "usbip attach ended with code ${LASTEXITCODE}: is the agent running? check.ps1 looks."
    }
}
Write-Output "Configured via $Via, port $Port."
