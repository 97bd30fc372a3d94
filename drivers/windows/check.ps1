#Requires -Version 5.1
<#
.SYNOPSIS
Looks whether the reader works; says what is wrong, and changes nothing. Ends with 1 if something is.
#>
[CmdletBinding()]
param([ValidateRange(1, 65535)] [int] $Port = 3240)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$wrong = 0

function Test-Point([string] $What, [bool] $Holds, [string] $Remedy) {
    if ($Holds) { Write-Output "ok     $What"; return }
    Write-Output "WRONG  ${What}: $Remedy"
    $script:wrong++
}

$service = Get-Service -Name SCardSvr -ErrorAction SilentlyContinue
Test-Point 'Windows'' smart card service' ($null -ne $service -and $service.Status -eq 'Running') `
    'it starts with the first reader; attach one'
$task = Get-ScheduledTask -TaskName 'Cloudcard agent' -ErrorAction SilentlyContinue
Test-Point 'the agent''s task' ($null -ne $task -and $task.State -eq 'Running') 'run configure.ps1, or log on again'
$listeners = @(Get-NetTCPConnection -State Listen -LocalPort $Port -ErrorAction SilentlyContinue)
Test-Point "a listener at port $Port" ($listeners.Count -gt 0) 'the agent does not run'
$beyond = @($listeners | Where-Object { $_.LocalAddress -notin '127.0.0.1', '::1' })
Test-Point 'it listens on this computer alone' ($beyond.Count -eq 0) `
    'other computers can reach it (vsmartcard''s driver always listens so): is the firewall''s rule there?'
$rule = Get-NetFirewallRule -DisplayName 'Cloudcard reader: this computer alone' -ErrorAction SilentlyContinue
Test-Point 'the firewall''s rule' ($null -ne $rule -and $rule.Enabled -eq 'True') 'run configure.ps1'
$readers = @(Get-PnpDevice -Class SmartCardReader -PresentOnly -ErrorAction SilentlyContinue)
Test-Point 'a smart card reader' ($readers.Count -gt 0) 'usbip attach, or Device Manager, says more'
Test-Point 'at most ten readers' ($readers.Count -le 10) 'Windows serves ten'
$failed = @($readers | Where-Object { $_.Status -ne 'OK' })
Test-Point 'every reader''s driver works' ($failed.Count -eq 0) ($failed.FriendlyName -join ', ')
exit [int]($wrong -gt 0)
